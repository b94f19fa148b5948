package main

import (
	"container/list"
	"io/fs"
	"path"
	"strings"
)

// entry is what stands at a path: kind is file, folder, symlink, submodule, or "" for nothing.
type entry struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

type folder struct {
	ID      string           `json:"id"`
	Entries map[string]entry `json:"entries"`
}

// answer is the parent's: what is at the path and, of a folder, what is in it.
type answer struct {
	entry
	Entries map[string]entry `json:"entries"`
}

// tree is the repository as a render sees it: known folders, and a parent that is asked for the rest. Paths are
// relative to the repository's root, "" being the root itself.
type tree struct {
	job     *job
	folders map[string]*folder
	seen    map[string]entry
	blobs   *blobs
	reads   map[string]*entry // the log of questions: nil for a path that was looked for in vain
	spent   int64
	refusal *failure
}

func newTree(j *job, folders map[string]*folder, blobs *blobs) *tree {
	if folders == nil {
		folders = map[string]*folder{}
	}
	return &tree{job: j, folders: folders, seen: map[string]entry{}, blobs: blobs, reads: map[string]*entry{}}
}

// refuse remembers the first refusal, so that no library can swallow it.
func (t *tree) refuse(f *failure) error {
	if t.refusal == nil {
		t.refusal = f
	}
	return f
}

// look says what is at a path, without logging it. Symlinks and submodules are refused: whether their target exists
// is never looked at.
func (t *tree) look(name string) (entry, error) {
	e := t.find(name)
	if e.Kind == "symlink" || e.Kind == "submodule" {
		t.log(name, e)
	}
	switch e.Kind {
	case "symlink":
		return e, t.refuse(fail("refused", name, "%s is a symbolic link, which a render never follows; put the file itself there", name))
	case "submodule":
		return e, t.refuse(fail("refused", name, "%s is a Git submodule, which a render does not read", name))
	}
	return e, nil
}

// find answers from what is known, and asks for the rest; the parent answers a path through a symlink by the symlink.
func (t *tree) find(name string) entry {
	if f, known := t.folders[name]; known {
		return entry{"folder", f.ID}
	}
	if e, known := t.seen[name]; known {
		return e
	}
	above, base := path.Split(name)
	if f, known := t.folders[strings.TrimSuffix(above, "/")]; known && f.Entries[base].Kind != "folder" {
		return f.Entries[base]
	}
	return t.ask(name)
}

func (t *tree) ask(name string) entry {
	a, _ := t.job.ask("look", name)
	if a.Kind == "folder" {
		t.folders[name] = &folder{a.ID, a.Entries}
	}
	t.seen[name] = a.entry
	return a.entry
}

func (t *tree) log(name string, e entry) {
	if e.Kind == "" {
		t.reads[name] = nil
	} else {
		t.reads[name] = &e
	}
}

// list answers a folder's entries, which it logs as one read of the folder.
func (t *tree) list(name string) (*folder, error) {
	e, err := t.look(name)
	if err != nil {
		return nil, err
	}
	t.log(name, e)
	return t.open(name)
}

func (t *tree) open(name string) (*folder, error) {
	if f, known := t.folders[name]; known {
		return f, nil
	}
	if t.ask(name).Kind != "folder" {
		return nil, fail("invalid", name, "there is no folder %q in the repository", name)
	}
	return t.folders[name], nil
}

// file answers a file's bytes and logs the read, also of a file that is not there. Encrypted files are opened.
func (t *tree) file(name string) ([]byte, error) {
	e, err := t.look(name)
	if err != nil {
		return nil, err
	}
	if e.Kind != "folder" {
		t.log(name, e)
	}
	if e.Kind != "file" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	data, err := t.bytes(name, e)
	if err != nil || t.job.keys == nil || !encrypted(data) {
		return data, err
	}
	if data, err = t.job.keys.decrypt(name, data); err != nil {
		return nil, t.refuse(err.(*failure))
	}
	return data, nil
}

func (t *tree) bytes(name string, e entry) ([]byte, error) {
	data, held := t.blobs.get(e.ID)
	if !held {
		var a answer
		a, data = t.job.ask("read", name)
		if a.ID != e.ID {
			return nil, t.refuse(fail("limit", name, "%s is larger than a render may read", name))
		}
		t.blobs.put(e.ID, data)
	}
	t.spent += int64(len(data))
	if len(data) > t.job.limits.File || t.spent > t.job.limits.Read {
		return nil, t.refuse(fail("limit", name, "%s is larger than a render may read", name))
	}
	return data, nil
}

// inside turns a path as written in a file into one from the root. Climbing out of the repository is refused.
func (t *tree) inside(from, written string) (string, error) {
	if path.IsAbs(written) {
		return "", t.refuse(fail("refused", from, "the path %q is absolute; paths are relative to the folder that names them", written))
	}
	joined := path.Join(from, written)
	if joined == ".." || strings.HasPrefix(joined, "../") {
		return "", t.refuse(fail("refused", from, "the path %q leads out of the repository", written))
	}
	if joined == "." {
		return "", nil
	}
	return joined, nil
}

// blobs is a bounded store of file contents by Git id; the least recently used go first, and the parent is told.
type blobs struct {
	size, limit int
	byID        map[string]*list.Element
	order       *list.List
	evicted     []string
}

type blob struct {
	id   string
	data []byte
}

func newBlobs(limit int) *blobs {
	return &blobs{limit: limit, byID: map[string]*list.Element{}, order: list.New()}
}

func (b *blobs) get(id string) ([]byte, bool) {
	item, held := b.byID[id]
	if !held {
		return nil, false
	}
	b.order.MoveToFront(item)
	return item.Value.(*blob).data, true
}

func (b *blobs) put(id string, data []byte) {
	if _, held := b.get(id); held {
		return
	}
	// A copy: a slice of a frame would keep the whole frame alive.
	b.byID[id] = b.order.PushFront(&blob{id, append([]byte{}, data...)})
	b.size += len(data)
	for b.size > b.limit && b.order.Len() > 1 {
		last := b.order.Remove(b.order.Back()).(*blob)
		delete(b.byID, last.id)
		b.size -= len(last.data)
		b.evicted = append(b.evicted, last.id)
	}
}

func (b *blobs) takeEvicted() []string {
	gone := b.evicted
	b.evicted = nil
	return gone
}
