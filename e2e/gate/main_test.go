//go:build e2e

package gate_test

import (
	"os"
	"testing"

	"gatehouse/internal/e2e"
)

func TestMain(m *testing.M) { os.Exit(e2e.Main(m)) }
