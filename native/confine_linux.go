package main

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// forbidden are the system calls by which a process reaches files, other programs and the network. The worker lives on
// the pipes it was started with, so none of them is ever rightly made.
var forbidden = []uint32{
	unix.SYS_OPENAT, unix.SYS_OPENAT2, unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_SOCKET, unix.SYS_SOCKETPAIR,
	unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV,
	unix.SYS_PROCESS_VM_WRITEV, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT2, unix.SYS_MKDIRAT, unix.SYS_MKNODAT,
	unix.SYS_LINKAT, unix.SYS_SYMLINKAT, unix.SYS_FCHMODAT, unix.SYS_FCHOWNAT, unix.SYS_TRUNCATE, unix.SYS_MOUNT,
	unix.SYS_IO_URING_SETUP, unix.SYS_MEMFD_CREATE, unix.SYS_PIDFD_GETFD, unix.SYS_SETNS, unix.SYS_BPF,
}

// legacy are the older forms that only x86-64 still has: open, fork, vfork, rename, mkdir, rmdir, creat, link, unlink,
// symlink, chmod, chown.
var legacy = []uint32{2, 57, 58, 82, 83, 84, 85, 86, 87, 88, 90, 92}

// confine forbids them for the rest of the process's life, and answers whether the kernel could. Every one of these
// things is refused by construction as well; this stands behind a fault in a library.
func confine() bool {
	arch, calls := uint32(unix.AUDIT_ARCH_X86_64), append(legacy, forbidden...)
	switch runtime.GOARCH {
	case "amd64":
	case "arm64":
		arch, calls = unix.AUDIT_ARCH_AARCH64, forbidden
	default:
		return false
	}
	const load, equal, least, answer = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K,
		unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	n := uint8(len(calls))
	program := []unix.SockFilter{
		{Code: load, K: 4}, {Code: equal, K: arch, Jf: n + 3}, // a foreign calling convention is denied whole
		{Code: load, K: 0}, {Code: least, K: 1 << 30, Jt: n + 1},
	}
	for i, call := range calls {
		program = append(program, unix.SockFilter{Code: equal, K: call, Jt: n - uint8(i)})
	}
	program = append(program, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EACCES)})
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != nil {
		return false
	}
	rules := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, failed := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&rules)))
	return failed == 0
}
