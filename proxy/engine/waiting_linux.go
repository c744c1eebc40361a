package engine

import "golang.org/x/sys/unix"

// unread tells how many bytes the kernel has received and nobody has read.
func unread(fd uintptr) int {
	n, err := unix.IoctlGetInt(int(fd), unix.SIOCINQ)
	if err != nil {
		return 0
	}
	return n
}
