package engine

import "golang.org/x/sys/unix"

// waiting tells how many bytes the kernel holds ready for c.
func (c *conn) waiting() int64 {
	n := 0
	err := c.raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
	if err != nil {
		return 0
	}
	return int64(n)
}
