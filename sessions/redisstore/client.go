package redisstore

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// silent is a logger for go-redis that discards everything. What go-redis would log, our
// calls return as errors.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// client returns the client for this kind of address; it does not connect. The client does
// not repeat a command whose answer was lost, and fails a command after o.Timeout. It
// speaks RESP2 and sends nothing at the start that old servers or strict ACLs refuse.
func (a *address) client(o *Options) redis.UniversalClient {
	u := &redis.UniversalOptions{
		Addrs: a.hosts, MasterName: a.master, DB: a.db, Username: a.user, Password: a.password,
		SentinelPassword: o.SentinelPassword, OnConnect: o.connected,
		Protocol: 2, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		MaxRetries:               -1, DialerRetries: 1, ContextTimeoutEnabled: true,
		DialTimeout: o.Timeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout, PoolTimeout: o.Timeout,
		PoolSize: maxConns, MaxActiveConns: maxConns, MaxConcurrentDials: maxDials, ConnMaxIdleTime: 5 * time.Minute, PipelinePoolSize: -1,
	}
	if o.Password != "" {
		u.Password = o.Password
	}
	if a.tls {
		u.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		if o.TLS != nil {
			u.TLSConfig = o.TLS.Clone()
		}
	}
	switch {
	case a.master != "":
		return redis.NewFailoverClient(u.Failover())
	case a.cluster:
		c := u.Cluster()
		c.ClusterStateReloadInterval = 5 * time.Second
		c.DisableRoutingPolicies = true // the keys of a command say where it goes
		return redis.NewClusterClient(c)
	default:
		s := u.Simple()
		if a.unix {
			s.Network = "unix"
		}
		return redis.NewClient(s)
	}
}
