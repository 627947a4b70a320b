package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// python is an interpreter and its virtual environment.
type python struct {
	executable         string
	virtualEnvironment string // "" if there is none
}

// virtualEnvironment returns the folder that the runtime options name, or "".
func virtualEnvironment(info *pulumirpc.ProgramInfo) string {
	folder := info.GetOptions().GetFields()["virtualenv"].GetStringValue()
	if folder == "" || filepath.IsAbs(folder) {
		return folder
	}
	return filepath.Join(info.GetRootDirectory(), folder)
}

// findPython returns the Python of the virtual environment that the runtime options name, or else of the PATH.
func findPython(info *pulumirpc.ProgramInfo) (python, error) {
	folder := virtualEnvironment(info)
	if folder == "" {
		return pathPython()
	}
	executable := filepath.Join(folder, "bin", "python")
	if _, err := os.Stat(executable); err != nil {
		return python{}, status.Errorf(codes.FailedPrecondition,
			"the virtual environment %s has no Python: create it with `pulumi install`", folder)
	}
	return python{executable: executable, virtualEnvironment: folder}, nil
}

func pathPython() (python, error) {
	executable, err := exec.LookPath("python3")
	if err != nil {
		return python{}, status.Error(codes.FailedPrecondition, "there is no python3 on the PATH: install it")
	}
	// The interpreter of a virtual environment is a link in its folder.
	folder := filepath.Dir(filepath.Dir(executable))
	if _, err := os.Stat(filepath.Join(folder, "pyvenv.cfg")); err != nil {
		folder = ""
	}
	return python{executable: executable, virtualEnvironment: folder}, nil
}

func (environment python) command(ctx context.Context, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, environment.executable, arguments...)
	command.Env = os.Environ()
	if environment.virtualEnvironment != "" {
		command.Env = append(command.Env,
			"VIRTUAL_ENV="+environment.virtualEnvironment,
			"PATH="+filepath.Join(environment.virtualEnvironment, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	}
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return stop(command) }
	command.WaitDelay = stopGrace
	return command
}

// sitePackages returns a pattern: the folder's name contains Python's version.
func (environment python) sitePackages() string {
	return filepath.Join(environment.virtualEnvironment, "lib", "python3*", "site-packages")
}

func (environment python) version() string {
	content, err := os.ReadFile(filepath.Join(environment.virtualEnvironment, "pyvenv.cfg"))
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(content)) {
		if key, value, found := strings.Cut(line, "="); found && strings.TrimSpace(key) == "version" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
