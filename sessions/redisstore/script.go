package redisstore

import (
	"context"
	"embed"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var luaFiles embed.FS

// A script is Lua text that the server runs atomically, and its SHA-1, by which EVALSHA
// calls it.
type script struct{ text, hash string }

// The scripts, one for each method that writes. Each consists of lua/head.lua, which they
// share, and the file of its name.
var (
	scriptCreate = loadScript("create")
	scriptUpdate = loadScript("update")
	scriptTouch  = loadScript("touch")
	scriptDelete = loadScript("delete")
	scriptSweep  = loadScript("sweep")
)

// loadScript returns the script of lua/head.lua and lua/<name>.lua.
func loadScript(name string) script {
	var text strings.Builder
	for _, file := range []string{"head", name} {
		b, err := luaFiles.ReadFile("lua/" + file + ".lua")
		if err != nil {
			panic(err) // it is embedded
		}
		text.Write(b)
	}
	return script{text.String(), redis.NewScript(text.String()).Hash()}
}

// once is a command that the client repeats only if the server has refused it (a redirect
// within a Cluster), never if its answer was lost: the script may have run, and a second
// Create would return ErrExists for the caller's own session.
type once struct{ *redis.Cmd }

func (once) NoRetry() bool { return true }

// run runs a script on one shard. Its KEYS are the shard's three indexes, then the records
// under keys, which must belong to the shard: the server refuses keys of several hash
// slots. It returns what the script returns, and nil for false. A server that does not
// know the script (NOSCRIPT), for instance after a restart, has done nothing, so the text
// can be sent without risk.
func (s *Store) run(ctx context.Context, what script, shard string, keys []string, args ...any) (any, error) {
	ctx, cancel, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	head := []any{"evalsha", what.hash, 3 + len(keys), s.index(shard, "keys"), s.index(shard, "users"), s.index(shard, "expiry")}
	for _, key := range keys {
		head = append(head, s.record(key))
	}
	head = append(head, args...)
	cmd := once{redis.NewCmd(ctx, head...)}
	err = s.client.Process(ctx, cmd)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		again := append([]any{"eval", what.text}, head[2:]...)
		cmd = once{redis.NewCmd(ctx, again...)}
		err = s.client.Process(ctx, cmd)
	}
	if errors.Is(err, redis.Nil) {
		return nil, nil //nolint:nilnil // the script has returned false
	}
	if err != nil {
		return nil, s.failed(err)
	}
	return cmd.Val(), nil
}
