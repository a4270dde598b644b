// Package check holds the tests of everything under deploy/ and of the commands
// in the documents about it. It is a module of its own, so that the library's
// go.mod stays free of what only they need. make deploy-check runs it.
package check
