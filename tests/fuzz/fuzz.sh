#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# fuzz.sh - run the fuzz targets with clang's libFuzzer, ASan and UBSan.
#
# Run by 'make fuzz' in the build folder. FUZZ_CC is the clang to use,
# FUZZ_SECONDS how long each target runs (60). Inputs that reach new code
# gather in fuzz/TARGET; an input that fails stays there as crash-*.
set -eu
cc=${FUZZ_CC:-clang}
src=$top_srcdir
command -v "$cc" >/dev/null || {
	echo "fuzz: no $cc; set FUZZ_CC to a clang with libFuzzer" >&2
	exit 1
}
mkdir -p fuzz
for target in codec envelope reducers; do
	mkdir -p "fuzz/$target"
	"tests/fuzz/fuzz_$target" --unpack "fuzz/$target"
	"$cc" -std=gnu11 -g -O1 -I. -I"$src/src/include" -I"$src/src" \
		-I"$src/tests" -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -o "fuzz/fuzz_$target" \
		"$src/tests/fuzz/fuzz_$target.c" "$src"/src/base/*.c \
		"$src"/src/msg/*.c "$src/src/coll/bigint.c" \
		"$src/src/coll/kernels.c" "$src/src/coll/number.c" \
		"$src/src/coll/reducers.c"
	"fuzz/fuzz_$target" -max_total_time="${FUZZ_SECONDS:-60}" \
		-max_len=1024 -print_final_stats=1 \
		-artifact_prefix="fuzz/$target/" "fuzz/$target"
done
