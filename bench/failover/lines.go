package main

import (
	"errors"

	"github.com/evercache/evercache/internal/faultnet"
)

// lines are proxies in front of every process of a set.
type lines map[string]*faultnet.Proxy // by the address behind it

// newLines has none left open when it returns an error.
func newLines(addrs []string) (lines, error) {
	l := lines{}
	for _, addr := range addrs {
		p, err := faultnet.New(addr)
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		l[addr] = p
	}
	return l, nil
}

func (l lines) each(do func(*faultnet.Proxy) error) error {
	var errs []error
	for _, p := range l {
		errs = append(errs, do(p))
	}
	return errors.Join(errs...)
}

// cut resets every connection; no other can be made until heal.
func (l lines) cut() error {
	return l.each(func(p *faultnet.Proxy) error {
		err := p.Refuse(true)
		p.ResetAll()
		return err
	})
}

func (l lines) heal() error  { return l.each((*faultnet.Proxy).Heal) }
func (l lines) close() error { return l.each((*faultnet.Proxy).Close) }

// detours are where each address is dialled instead.
func (l lines) detours() map[string]string {
	if l == nil {
		return nil
	}
	to := map[string]string{}
	for addr, p := range l {
		to[addr] = p.Addr()
	}
	return to
}
