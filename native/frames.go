package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Frames, both ways: u32 length of the rest, u32 request, u8 type, u32 header length, JSON header, raw bytes.
// All numbers are big-endian. src/kedge/renderers/frames.py is the other half.
const (
	frameHello   byte = 1 // worker: ready, with its versions
	frameRequest byte = 2 // parent: do this
	frameAsk     byte = 3 // worker: what is at this path
	frameAnswer  byte = 4 // parent: this
	frameObject  byte = 5 // worker: one object of the result
	frameDone    byte = 6 // worker: the request is served
	frameError   byte = 7 // worker: it can not be served
)

const maxFrame = 128 << 20

type frame struct {
	request uint32
	kind    byte
	header  []byte
	raw     []byte
}

type wire struct {
	in  *bufio.Reader
	out *bufio.Writer
	mu  sync.Mutex
}

func (w *wire) read() (frame, error) {
	var head [4]byte
	if _, err := io.ReadFull(w.in, head[:]); err != nil {
		return frame{}, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 9 || size > maxFrame {
		return frame{}, fmt.Errorf("a frame of %d bytes", size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(w.in, body); err != nil {
		return frame{}, err
	}
	length := binary.BigEndian.Uint32(body[5:9])
	if uint64(length)+9 > uint64(size) {
		return frame{}, errors.New("a header longer than its frame")
	}
	return frame{binary.BigEndian.Uint32(body[:4]), body[4], body[9 : 9+length], body[9+length:]}, nil
}

func (w *wire) write(request uint32, kind byte, header any, raw []byte) error {
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	var head [13]byte
	binary.BigEndian.PutUint32(head[0:4], uint32(9+len(text)+len(raw)))
	binary.BigEndian.PutUint32(head[4:8], request)
	head[8] = kind
	binary.BigEndian.PutUint32(head[9:13], uint32(len(text)))
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, part := range [][]byte{head[:], text, raw} {
		if _, err := w.out.Write(part); err != nil {
			return err
		}
	}
	if kind == frameObject { // the next frame follows at once and takes it along
		return nil
	}
	return w.out.Flush()
}
