// SPDX-License-Identifier: Apache-2.0

// Command interop checks what a log hands out with the implementation that Go's checksum database uses, which
// nobody of this project wrote: the signed checkpoint (Ed25519 line), the tiles, an inclusion proof and a
// consistency proof. It reads one JSON object from standard input, prints "ok" and exits 0, or prints the step that
// failed and exits 1.
package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// tileHeight is the height of C2SP tiles: 256 hashes wide.
const tileHeight = 8

// input is what standard input holds. Byte strings are standard base64.
type input struct {
	VKey        string            `json:"vkey"`        // verifier key of the log
	Origin      string            `json:"origin"`      // name that the checkpoints must carry
	Note        string            `json:"note"`        // signed checkpoint
	OldNote     string            `json:"old_note"`    // an older signed checkpoint of the same log
	Index       int64             `json:"index"`       // place of the entry
	Entry       []byte            `json:"entry"`       // the entry itself
	Inclusion   [][]byte          `json:"inclusion"`   // proof of the entry in the newer tree
	Consistency [][]byte          `json:"consistency"` // proof between the two trees
	Tiles       map[string][]byte `json:"tiles"`       // C2SP path of a tile to its hashes
}

func main() {
	if err := run(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ok")
}

func run() error {
	var in input
	decoder := json.NewDecoder(os.Stdin)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return fmt.Errorf("input: %w", err)
	}
	verifier, err := note.NewVerifier(in.VKey)
	if err != nil {
		return fmt.Errorf("vkey: %w", err)
	}
	newer, err := openCheckpoint(in.Note, in.Origin, verifier)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	older, err := openCheckpoint(in.OldNote, in.Origin, verifier)
	if err != nil {
		return fmt.Errorf("older checkpoint: %w", err)
	}
	inclusion, err := hashes(in.Inclusion)
	if err != nil {
		return fmt.Errorf("inclusion: %w", err)
	}
	if err := tlog.CheckRecord(inclusion, newer.N, newer.Hash, in.Index, tlog.RecordHash(in.Entry)); err != nil {
		return fmt.Errorf("inclusion: %w", err)
	}
	consistency, err := hashes(in.Consistency)
	if err != nil {
		return fmt.Errorf("consistency: %w", err)
	}
	if err := tlog.CheckTree(consistency, newer.N, newer.Hash, older.N, older.Hash); err != nil {
		return fmt.Errorf("consistency: %w", err)
	}
	// The reader checks every tile against the root before it uses a hash of it.
	reader := tlog.TileHashReader(newer, tiles(in.Tiles))
	proof, err := tlog.ProveRecord(newer.N, in.Index, reader)
	if err != nil {
		return fmt.Errorf("tiles: %w", err)
	}
	if fmt.Sprint(proof) != fmt.Sprint(tlog.RecordProof(inclusion)) {
		return errors.New("tiles: they prove the entry by another path")
	}
	return nil
}

// openCheckpoint verifies a note and reads the tree head in it.
func openCheckpoint(text, origin string, verifier note.Verifier) (tlog.Tree, error) {
	var tree tlog.Tree
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return tree, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != origin || lines[3] != "" {
		return tree, errors.New("not the three lines of a checkpoint of this log")
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// hashes takes hashes of 32 bytes from their input form.
func hashes(data [][]byte) ([]tlog.Hash, error) {
	taken := make([]tlog.Hash, 0, len(data))
	for _, item := range data {
		hash, err := tlog.ParseHash(base64.StdEncoding.EncodeToString(item))
		if err != nil {
			return nil, err
		}
		taken = append(taken, hash)
	}
	return taken, nil
}

// tiles serves tiles by their C2SP paths, which are those of tlog without the height.
type tiles map[string][]byte

func (t tiles) Height() int { return tileHeight }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, 0, len(wanted))
	for _, tile := range wanted {
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight), "tile/", 1)
		data, ok := t[path]
		if !ok {
			return nil, fmt.Errorf("no tile %s", path)
		}
		found = append(found, data)
	}
	return found, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}
