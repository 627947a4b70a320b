// The Pulumi provider of Docker, from the upstream Terraform provider and Pulumi's bridge to it: what the official
// plugin is made of, for machines that reach package registries alone.
//
// `./upstream` is a copy of the Terraform provider that the set-up lays there and edits (toolchain/docker_plugin.py).
package main

import (
	"os"
	"runtime/debug"
	"time"
	"unicode"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/terraform-providers/terraform-provider-docker/exported"
)

// Set by the linker (-X main.version=...), so that the one pinned version is written in one place.
var version = "0.0.0"

// A run of the provider lives for seconds and holds little: collecting garbage at the default rate costs a sixth of
// the processor time of an update that changes nothing.
const garbageCollectionPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbageCollectionPercent)
	}
	go endWithParent(os.Getppid())
	tfbridge.Main("docker", version, provider(), []byte("{}"))
}

// endWithParent ends this process when the CLI was killed and could not end it: the next run repairs what is half made,
// and must not find it still being made.
func endWithParent(parent int) {
	for os.Getppid() == parent {
		time.Sleep(time.Second)
	}
	os.Exit(1)
}

func provider() tfbridge.ProviderInfo {
	info := tfbridge.ProviderInfo{
		P:       shimv2.NewProvider(exported.New(version)()),
		Name:    "docker",
		Version: version,
		Config: map[string]*tfbridge.SchemaInfo{
			"host": {Default: &tfbridge.DefaultInfo{
				Value:   "unix:///var/run/docker.sock",
				EnvVars: []string{"DOCKER_HOST"},
			}},
			"registry_auth": {Name: "registryAuth", MaxItemsOne: tfbridge.False()},
		},
		Resources: map[string]*tfbridge.ResourceInfo{
			"docker_config": {Tok: resource("ServiceConfig")},
			"docker_container": {
				Tok:                 resource("Container"),
				DeleteBeforeReplace: true,
				// The two lists whose names the official plugin leaves as they are.
				Fields: map[string]*tfbridge.SchemaInfo{
					"command":           {Name: "command"},
					"networks_advanced": {Name: "networksAdvanced"},
				},
			},
			"docker_image":          {Tok: resource("RemoteImage")},
			"docker_network":        {Tok: resource("Network")},
			"docker_plugin":         {Tok: resource("Plugin")},
			"docker_registry_image": {Tok: resource("RegistryImage")},
			"docker_secret":         {Tok: resource("Secret")},
			"docker_service":        {Tok: resource("Service")},
			"docker_tag":            {Tok: resource("Tag")},
			"docker_volume":         {Tok: resource("Volume")},
		},
		DataSources: map[string]*tfbridge.DataSourceInfo{
			"docker_image":          {Tok: function("getRemoteImage")},
			"docker_network":        {Tok: function("getNetwork")},
			"docker_plugin":         {Tok: function("getPlugin")},
			"docker_registry_image": {Tok: function("getRegistryImage")},
		},
	}
	info.SetAutonaming(255, "-")
	for name, resourceInfo := range info.Resources {
		resourceInfo.Fields = named(info.P.ResourcesMap().Get(name).Schema(), resourceInfo.Fields)
	}
	return info
}

// named states the Pulumi name of every field, at every depth. The bridge finds a field by its Pulumi name by working
// out the names of all its siblings, each time: over half of the time of Diff, which a stated name spares.
func named(schemas shim.SchemaMap, stated map[string]*tfbridge.SchemaInfo) map[string]*tfbridge.SchemaInfo {
	result := map[string]*tfbridge.SchemaInfo{}
	schemas.Range(func(field string, schema shim.Schema) bool {
		info := &tfbridge.SchemaInfo{}
		if stated[field] != nil {
			*info = *stated[field]
		}
		// Worked out from what is stated by hand only: a name depends on whether its siblings' names are taken.
		info.Name = tfbridge.TerraformToPulumiNameV2(field, schemas, stated)
		if nested, ok := schema.Elem().(shim.Resource); ok {
			if info.Elem == nil {
				info.Elem = &tfbridge.SchemaInfo{}
			}
			info.Elem.Fields = named(nested.Schema(), info.Elem.Fields)
		}
		result[field] = info
		return true
	})
	return result
}

func resource(name string) tokens.Type {
	return tokens.Type(function(name))
}

func function(name string) tokens.ModuleMember {
	first := []rune(name)
	first[0] = unicode.ToLower(first[0])
	return tokens.ModuleMember("docker:index/" + string(first) + ":" + name)
}
