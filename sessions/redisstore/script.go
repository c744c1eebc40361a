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

// A script is Lua that the server runs in one step; hash is how it is called by.
type script struct{ text, hash string }

// The scripts. Each begins with head.lua, which has what they share.
var (
	scriptCreate = loadScript("create")
	scriptUpdate = loadScript("update")
	scriptTouch  = loadScript("touch")
	scriptDelete = loadScript("delete")
	scriptSweep  = loadScript("sweep")
)

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

// once is a command that the client sends again only if the server has refused it, and
// never if it is not known whether the server has done it.
type once struct{ *redis.Cmd }

func (once) NoRetry() bool { return true }

// run runs a script on the shard, with the records under keys. It returns what the
// script returns; nil for false. A server that does not know the script, because it
// was started again, has done nothing, and is sent its text.
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
