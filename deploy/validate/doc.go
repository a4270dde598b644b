// Package validate holds the tests of deploy/kubernetes: each overlay is built, read
// strictly, held against the pod security standard "restricted", and searched for what
// only we can know. It is a module of its own, since what it needs is large. The folder
// apiserver has the API server's own validation, which is larger still: make
// deploy-validate runs both, make deploy-check this one.
package validate
