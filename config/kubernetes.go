package config

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/evercache/evercache/health"
)

var (
	serviceName = regexp.MustCompile(`^(REDIS|EVERCACHE)(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
	serviceURL  = regexp.MustCompile(`^(tcp|udp|sctp)://`)
)

// injectedByKubernetes recognises what the kubelet puts into every pod for a
// Service called redis, redis-master, evercache, … The one such name that is
// also ours is REDIS_PORT, told apart by its value.
func injectedByKubernetes(name, value string) bool {
	return serviceName.MatchString(name) || strings.HasSuffix(name, "_PORT") && serviceURL.MatchString(value)
}

func (r *reader) kubernetesFinding() []health.Finding {
	if len(r.injected) == 0 {
		return nil
	}
	return []health.Finding{kubernetesNames.finding(
		fmt.Sprintf("Ignored, as made by Kubernetes for a Service: %s.", listed(r.injected)),
		"Nothing needs doing; enableServiceLinks: false in the pod spec keeps them away.",
	)}
}
