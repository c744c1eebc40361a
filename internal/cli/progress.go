package cli

import (
	"context"
	"strings"
	"sync"
	"time"
)

// When progress begins to show, and how often it is updated.
const (
	progressAfter = time.Second
	progressEvery = 250 * time.Millisecond
)

// progress shows on a terminal that work goes on, once it has taken longer than
// progressAfter: what is done, for how long, and what now returns, which may be
// "". now is called from another goroutine until stop returns; it may be nil only
// where nothing is shown. Call stop to remove the line. Where lines cannot be
// redrawn, progress does nothing.
func (p *cli) progress(ctx context.Context, what string, now func(ctx context.Context) string) (stop func()) {
	if !screenOf(p.Err).redraw {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		begin, shown := time.Now(), 0
		wait := time.NewTimer(progressAfter)
		defer wait.Stop()
		for {
			select {
			case <-ctx.Done():
				p.redraw("", shown)
				return
			case <-wait.C:
			}
			line := what + " … " + humanDuration(time.Since(begin))
			if s := now(ctx); s != "" {
				line += ", " + s
			}
			line = shorten(line, screenOf(p.Err).columns-1)
			p.redraw(line, shown)
			shown = textWidth(line)
			wait.Reset(progressEvery)
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// redraw replaces the line, which is before columns wide, by another one. An
// empty line only removes it.
func (p *cli) redraw(line string, before int) {
	if line == "" && before == 0 {
		return
	}
	p.tell("\r%s%s", line, strings.Repeat(" ", max(0, before-textWidth(line))))
	if line == "" {
		p.tell("\r")
	}
}
