#!/bin/sh
# Makes a certificate authority and the certificate of the nodes, in tls/ beside this
# script. What is there stays. For production take your own authority.
set -eu
dir=${1:-$(cd "$(dirname "$0")" && pwd)/tls}
mkdir -p "$dir"
chmod 700 "$dir"
cd "$dir"
[ ! -s server.crt ] || exit 0
umask 077
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
	-subj "/CN=evercache set" -keyout ca.key -out ca.crt 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=redis -keyout server.key -out server.csr 2>/dev/null
printf 'subjectAltName=DNS:redis,DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' >extensions
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -extfile extensions -out server.crt 2>/dev/null
rm -f server.csr extensions
