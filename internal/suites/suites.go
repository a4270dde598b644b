// Package suites has the cipher suites of every TLS connection of evercache.
package suites

import "crypto/tls"

// Authenticated are those of TLS 1.2 that encrypt and authenticate in one step, with
// a new key for each connection. The CBC suites that Go offers beside them are left
// out: they have been broken too often. TLS 1.3 has no others, and cannot be told.
func Authenticated() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}
