// SPDX-License-Identifier: Apache-2.0

module ironcage.invalid/interop

go 1.19

require golang.org/x/mod v0.20.0
