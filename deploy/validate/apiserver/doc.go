// Package apiserver holds the documents of deploy/kubernetes against the validation
// that the API server itself runs. It is slow to build.
package apiserver
