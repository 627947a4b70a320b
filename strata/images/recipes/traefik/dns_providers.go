// Package dns replaces the package of lego that imports the SDK of every DNS provider.
package dns

import (
	"fmt"

	"github.com/go-acme/lego/v4/challenge"
)

// NewDNSChallengeProviderByName is called for DNS-01 only, which a gateway doesn't use.
func NewDNSChallengeProviderByName(name string) (challenge.Provider, error) {
	return nil, fmt.Errorf("this build has no DNS provider, and not %q", name)
}
