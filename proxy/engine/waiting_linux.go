package engine

import "golang.org/x/sys/unix"

// unread returns how many bytes a socket has received that have not been read.
func unread(fd uintptr) int {
	n, err := unix.IoctlGetInt(int(fd), unix.SIOCINQ)
	if err != nil {
		return 0
	}
	return n
}
