module github.com/evercache/evercache/examples/jwt

go 1.26.0

replace github.com/evercache/evercache => ../../

require (
	github.com/evercache/evercache v0.0.0
	github.com/golang-jwt/jwt/v5 v5.2.2
)

require (
	github.com/maypok86/otter/v2 v2.4.0 // indirect
	github.com/redis/rueidis v1.0.79 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/time v0.16.0 // indirect
)
