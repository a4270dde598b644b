// Package browser holds the tests of the status page in a real browser (make test-page). They
// are a module of their own: what drives the browser is nothing that the library needs.
package browser
