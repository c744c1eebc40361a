// Command profiled is the gate with a CPU profile from its start to SIGTERM. The
// profile in default.pgo is made with it. Gatehouse itself has no such option, since
// a profile reveals what a process does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"gatehouse/config"
	"gatehouse/server"
)

func main() {
	file := flag.String("config", "gatehouse.yaml", "`FILE` of the configuration")
	login := flag.String("login", "login.html", "`FILE` of the login page")
	out := flag.String("o", "default.pgo", "`FILE` for the profile")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *file, *login, *out); err != nil {
		fmt.Fprintln(os.Stderr, "profiled:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, file, login, out string) error {
	c, err := config.Load(file)
	if err != nil {
		return err
	}
	page, err := os.ReadFile(login) //nolint:gosec // the developer names the file
	if err != nil {
		return fmt.Errorf("read the login page: %w", err)
	}
	log, err := server.NewLog(c.Log, os.Stderr)
	if err != nil {
		return err
	}
	defer log.Close()
	profile, err := os.Create(out) //nolint:gosec // the developer names the file
	if err != nil {
		return fmt.Errorf("make the profile: %w", err)
	}
	if err := pprof.StartCPUProfile(profile); err != nil {
		return errors.Join(fmt.Errorf("begin the profile: %w", err), profile.Close())
	}
	err = server.Run(ctx, server.Options{Config: c, LoginHTML: string(page), Version: "profiled", Log: log.Logger, Level: log.Level()})
	pprof.StopCPUProfile()
	return errors.Join(err, profile.Close())
}
