package server

import (
	"net"

	"golang.org/x/sys/unix"
)

// refuseNew makes the kernel accept no more connections on ln, with a socket
// filter that drops every SYN. The client sends another SYN after a second and is
// refused then, because ln is closed by that time. Handshakes under way are
// completed. Without this, connections that come between the last accept and the
// close are reset.
func refuseNew(ln *net.TCPListener) error {
	const flags, syn, ack = 13, 0x02, 0x10 // RFC 9293 3.1: the byte of the header, and bits in it
	filter := [5]unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: syn | ack},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: syn},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},          // drop it
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff}, // take all of it
	}
	raw, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 5, Filter: &filter[0]})
	})
	if err != nil {
		return err
	}
	return failed
}
