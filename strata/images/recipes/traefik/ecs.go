// Package ecs replaces the provider of that name, which needs the SDK of AWS.
package ecs

import (
	"errors"

	"github.com/traefik/traefik/v3/pkg/config/dynamic"
	"github.com/traefik/traefik/v3/pkg/safe"
)

// Provider is what the static configuration refers to.
type Provider struct{}

// SetDefaults sets the default values.
func (*Provider) SetDefaults() {}

// Init fails.
func (*Provider) Init() error {
	return errors.New("this build has no ECS provider")
}

// Provide is never called.
func (*Provider) Provide(chan<- dynamic.Message, *safe.Pool) error {
	return nil
}
