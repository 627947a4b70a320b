// The Python language host: it installs the dependencies of Python programs, and runs programs and policy packs.
//
// It replaces Pulumi's own, which is on no package registry. The runner script `pulumi-language-python-exec`, from the
// Go module of the Pulumi SDK, must be in the same folder.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Set by the linker (-X main.version=...), so that the one pinned version is written in one place.
var version = "0.0.0"

const (
	// The exit status of the runner script if it has already printed the error.
	exitStatusBail = 32
	// The engine's own limit. A program's configuration can exceed gRPC's default of 4 MiB.
	maxMessageBytes = 400 * 1024 * 1024
	// How long a program may take to stop before it is killed.
	stopGrace = 2 * time.Second
	// How often to check that the CLI still runs.
	parentCheckInterval = time.Second
)

type languageHost struct {
	pulumirpc.UnimplementedLanguageRuntimeServer

	runner        string // path of pulumi-language-python-exec
	engineAddress string
	canceled      context.Context // ends what runs when the engine cancels the update
	cancel        context.CancelFunc
}

func main() {
	if err := serve(); err != nil {
		fmt.Fprintf(os.Stderr, "pulumi-language-python: %v\n", err)
		os.Exit(1)
	}
}

func serve() error {
	parent := os.Getppid()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding its own path: %w", err)
	}
	// The engine's address comes last.
	host := &languageHost{runner: self + "-exec", engineAddress: os.Args[len(os.Args)-1]}
	host.canceled, host.cancel = context.WithCancel(context.Background())

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening on loopback: %w", err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessageBytes), grpc.WaitForHandlers(true))
	pulumirpc.RegisterLanguageRuntimeServer(server, host)

	// The engine stops its plugins with SIGINT and waits up to 10 seconds for each. A CLI that was killed can't.
	signaled, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		for signaled.Err() == nil && os.Getppid() == parent {
			select {
			case <-signaled.Done():
			case <-time.After(parentCheckInterval):
			}
		}
		server.Stop() // it cancels the calls, and waits until what they run has ended
	}()

	// The engine reads the port from the first line.
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	return server.Serve(listener)
}

func (host *languageHost) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: version}, nil
}

// GetRequiredPackages returns the packages of the virtual environment whose plugin is installed. The CLI downloads every
// other plugin that is named here, also if it's on the PATH, and fails if it can't, also if the program doesn't use it.
// A plugin that is missing is named by the engine's own error at the first resource that needs it.
func (host *languageHost) GetRequiredPackages(
	_ context.Context, request *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	files, err := sitePackages(request.GetInfo(), "*/pulumi-plugin.json")
	if err != nil {
		return nil, err
	}
	response := &pulumirpc.GetRequiredPackagesResponse{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var plugin struct {
			Resource              bool
			Name, Version, Server string
		}
		if err := json.Unmarshal(content, &plugin); err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		if !plugin.Resource || !pluginInstalled(plugin.Name, plugin.Version) {
			continue
		}
		response.Packages = append(response.Packages, &pulumirpc.PackageDependency{
			Name: plugin.Name, Kind: "resource", Version: "v" + strings.TrimPrefix(plugin.Version, "v"),
			Server: plugin.Server,
		})
	}
	return response, nil
}

func pluginInstalled(name, version string) bool {
	home := os.Getenv("PULUMI_HOME")
	if home == "" {
		home = filepath.Join(os.Getenv("HOME"), ".pulumi")
	}
	folder := fmt.Sprintf("resource-%s-v%s", name, strings.TrimPrefix(version, "v"))
	_, err := os.Stat(filepath.Join(home, "plugins", folder))
	return err == nil
}

func (host *languageHost) GetProgramDependencies(
	_ context.Context, request *pulumirpc.GetProgramDependenciesRequest,
) (*pulumirpc.GetProgramDependenciesResponse, error) {
	folders, err := sitePackages(request.GetInfo(), "*.dist-info")
	if err != nil {
		return nil, err
	}
	response := &pulumirpc.GetProgramDependenciesResponse{}
	for _, folder := range folders {
		name, version, _ := strings.Cut(strings.TrimSuffix(filepath.Base(folder), ".dist-info"), "-")
		response.Dependencies = append(response.Dependencies, &pulumirpc.DependencyInfo{Name: name, Version: version})
	}
	return response, nil
}

// About is called at every run, for the metadata of the update: it must not start a process.
func (host *languageHost) About(_ context.Context, request *pulumirpc.AboutRequest) (*pulumirpc.AboutResponse, error) {
	environment, err := findPython(request.GetInfo())
	if err != nil {
		return nil, err
	}
	return &pulumirpc.AboutResponse{Executable: environment.executable, Version: environment.version()}, nil
}

// InstallDependencies does what `pulumi install` does with the toolchain pip: it creates the virtual environment and
// installs requirements.txt.
func (host *languageHost) InstallDependencies(
	request *pulumirpc.InstallDependenciesRequest, stream grpc.ServerStreamingServer[pulumirpc.InstallDependenciesResponse],
) error {
	stdout, stderr := streams(func(chunk []byte, isError bool) error {
		if isError {
			return stream.Send(&pulumirpc.InstallDependenciesResponse{Stderr: chunk})
		}
		return stream.Send(&pulumirpc.InstallDependenciesResponse{Stdout: chunk})
	})
	run := func(environment python, arguments ...string) error {
		command := environment.command(stream.Context(), arguments...)
		command.Dir, command.Stdout, command.Stderr = request.GetInfo().GetProgramDirectory(), stdout, stderr
		exitStatus, err := host.run(command)
		if err == nil && exitStatus != 0 {
			err = fmt.Errorf("`%s` exited with status %d", strings.Join(command.Args, " "), exitStatus)
		}
		return err
	}
	if folder := virtualEnvironment(request.GetInfo()); folder != "" {
		system, err := pathPython()
		if err != nil {
			return err
		}
		if err := run(system, "-m", "venv", folder); err != nil {
			return err
		}
	}
	environment, err := findPython(request.GetInfo())
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(request.GetInfo().GetProgramDirectory(), "requirements.txt")); err != nil {
		return nil
	}
	return run(environment, "-m", "pip", "install", "-r", "requirements.txt")
}

func (host *languageHost) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	host.cancel()
	return &emptypb.Empty{}, nil
}

func (host *languageHost) Run(ctx context.Context, request *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	environment, err := findPython(request.GetInfo())
	if err != nil {
		return nil, err
	}
	// Neither may be JSON's null.
	values := map[string]string{}
	maps.Copy(values, request.GetConfig())
	configuration, _ := json.Marshal(values)
	secretKeys, _ := json.Marshal(append([]string{}, request.GetConfigSecretKeys()...))
	program := request.GetInfo().GetEntryPoint()
	if program == "" {
		program = "."
	}
	arguments := []string{
		"-u", host.runner,
		"--monitor", request.GetMonitorAddress(),
		"--engine", host.engineAddress,
		"--project", request.GetProject(),
		"--root_directory", request.GetInfo().GetRootDirectory(),
		"--stack", request.GetStack(),
		"--pwd", request.GetPwd(),
		"--dry_run", strconv.FormatBool(request.GetDryRun()),
		"--parallel", strconv.Itoa(int(request.GetParallel())),
		"--organization", request.GetOrganization(),
		program,
	}

	command := environment.command(ctx, append(arguments, request.GetArgs()...)...)
	command.Env = append(command.Env,
		"PULUMI_CONFIG="+string(configuration), "PULUMI_CONFIG_SECRET_KEYS="+string(secretKeys))
	command.Stdout, command.Stderr = os.Stdout, os.Stderr

	exitStatus, err := host.run(command)
	switch {
	case err != nil:
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("the program could not be run: %v", err)}, nil
	case exitStatus == exitStatusBail:
		return &pulumirpc.RunResponse{Bail: true}, nil
	case exitStatus != 0:
		return &pulumirpc.RunResponse{
			Error: fmt.Sprintf("Program exited with non-zero exit code: %d", exitStatus),
		}, nil
	}
	return &pulumirpc.RunResponse{}, nil
}

// RunPlugin starts a policy pack. The engine ends it by cancelling the call.
func (host *languageHost) RunPlugin(
	request *pulumirpc.RunPluginRequest, stream grpc.ServerStreamingServer[pulumirpc.RunPluginResponse],
) error {
	if request.GetKind() != "analyzer" {
		return status.Errorf(codes.Unimplemented,
			"this language host runs programs and policy packs, not plugins of kind %q", request.GetKind())
	}
	environment, err := findPython(request.GetInfo())
	if err != nil {
		return err
	}
	arguments := append([]string{"-u", "-m", "pulumi.policy"}, request.GetArgs()...)
	command := environment.command(stream.Context(), append(arguments, request.GetInfo().GetProgramDirectory())...)
	command.Dir = request.GetPwd()
	command.Env = append(command.Env, request.GetEnv()...)

	command.Stdout, command.Stderr = streams(func(chunk []byte, isError bool) error {
		if isError {
			return stream.Send(&pulumirpc.RunPluginResponse{Output: &pulumirpc.RunPluginResponse_Stderr{Stderr: chunk}})
		}
		return stream.Send(&pulumirpc.RunPluginResponse{Output: &pulumirpc.RunPluginResponse_Stdout{Stdout: chunk}})
	})
	exitStatus, err := host.run(command)
	if err != nil {
		return fmt.Errorf("the policy pack could not be run: %w", err)
	}
	return stream.Send(&pulumirpc.RunPluginResponse{
		Output: &pulumirpc.RunPluginResponse_Exitcode{Exitcode: int32(exitStatus)},
	})
}

// run returns the exit status of a command, or an error if it didn't start or didn't exit.
func (host *languageHost) run(command *exec.Cmd) (int, error) {
	if err := command.Start(); err != nil {
		return 0, err
	}
	defer context.AfterFunc(host.canceled, func() { _ = command.Cancel() })()
	err := command.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// streams returns writers for stdout and stderr that share one stream: two goroutines copy to them.
func streams(send func(chunk []byte, isError bool) error) (stdout, stderr io.Writer) {
	var mutex sync.Mutex
	writer := func(isError bool) io.Writer {
		return writerFunc(func(chunk []byte) (int, error) {
			mutex.Lock()
			defer mutex.Unlock()
			return len(chunk), send(chunk, isError)
		})
	}
	return writer(false), writer(true)
}

type writerFunc func(chunk []byte) (int, error)

func (write writerFunc) Write(chunk []byte) (int, error) { return write(chunk) }
