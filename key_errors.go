package evercache

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// KeyErrors is what a ManyLoader returns when some of its keys have failed, and why. The
// values of the others are used: one broken row fails only itself.
//
//	failed := evercache.KeyErrors{}
//	for _, key := range keys {
//		...
//		if err != nil {
//			failed[key] = err
//		}
//	}
//	return values, failed.OrNil()
type KeyErrors map[string]error

func (e KeyErrors) Error() string {
	errs := e.Unwrap()
	if len(errs) == 0 {
		return "no key has failed"
	}
	return fmt.Sprintf("%d keys have failed, one of them: %v", len(errs), errs[0])
}

// Unwrap is the errors of the keys, in the order of the keys.
func (e KeyErrors) Unwrap() (errs []error) {
	for _, key := range slices.Sorted(maps.Keys(e)) {
		if e[key] != nil {
			errs = append(errs, e[key])
		}
	}
	return errs
}

// OrNil is e as an error, or nil where no key has failed.
func (e KeyErrors) OrNil() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// errorOf is why a key has failed in a call that ended with err.
func errorOf(err error, key string) error {
	if each, ok := errors.AsType[KeyErrors](err); ok {
		return each[key]
	}
	return err
}
