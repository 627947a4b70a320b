package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	// To its process group: a program starts others.
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGTERM) }
	command.WaitDelay = stopGrace
	return command
}

// sitePackages returns the paths in the program's virtual environment that match a pattern.
func sitePackages(info *pulumirpc.ProgramInfo, pattern string) ([]string, error) {
	environment, err := findPython(info)
	if err != nil {
		return nil, err
	}
	// A folder's name contains Python's version.
	return filepath.Glob(filepath.Join(environment.virtualEnvironment, "lib", "python3*", "site-packages", pattern))
}

var versionLine = regexp.MustCompile(`(?m)^version *= *(\S+)`)

func (environment python) version() string {
	content, _ := os.ReadFile(filepath.Join(environment.virtualEnvironment, "pyvenv.cfg"))
	if match := versionLine.FindSubmatch(content); match != nil {
		return string(match[1])
	}
	return "unknown"
}
