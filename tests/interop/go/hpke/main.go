// SPDX-License-Identifier: Apache-2.0

// Command hpke opens and seals boxes of an exchange with Go's own crypto/hpke, which nobody of this project wrote.
// It reads one JSON object from standard input and prints another: what the box held, the public key of the seed, and
// a box of its own around the same plaintext. On a failure it prints the step and exits 1.
package main

import (
	"crypto/hpke"
	"encoding/json"
	"fmt"
	"os"
)

// input is what standard input holds. Byte strings are standard base64.
type input struct {
	Seed []byte `json:"seed"` // private exchange key, 32 bytes
	Info []byte `json:"info"` // what both sides know the box is for
	Box  []byte `json:"box"`  // enc and ciphertext
}

type output struct {
	Public    []byte `json:"public"`
	Plaintext []byte `json:"plaintext"`
	Box       []byte `json:"box"`
}

func main() {
	if err := run(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func run() error {
	var in input
	decoder := json.NewDecoder(os.Stdin)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return fmt.Errorf("input: %w", err)
	}
	key, err := hpke.MLKEM768X25519().NewPrivateKey(in.Seed)
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	plaintext, err := hpke.Open(key, hpke.HKDFSHA256(), hpke.AES256GCM(), in.Info, in.Box)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	box, err := hpke.Seal(key.PublicKey(), hpke.HKDFSHA256(), hpke.AES256GCM(), in.Info, plaintext)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return json.NewEncoder(os.Stdout).Encode(output{key.PublicKey().Bytes(), plaintext, box})
}
