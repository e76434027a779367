#!/bin/sh
# llama.cpp for one kind of Raspberry Pi, on that Pi or under an arm64 Debian: build-wheel.sh 4|5|any OUTPUT
#   5    Cortex-A76: dot products and half floats, which the quantized weights use
#   4    Cortex-A72: neither; a wheel for the 5 ends with an illegal instruction there
#   any  64-bit ARM as of 2011
set -eu
case ${1:-} in
5) cpu=cortex-a76 arch=armv8.2-a+dotprod+fp16 ;;
4) cpu=cortex-a72 arch=armv8-a ;;
any) cpu=generic arch=armv8-a ;;
*) echo "usage: build-wheel.sh 4|5|any OUTPUT" >&2; exit 2 ;;
esac
output=${2:?usage: build-wheel.sh 4|5|any OUTPUT}
export CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_CPU_ARM_ARCH=$arch -DLLAVA_BUILD=OFF -DCMAKE_C_FLAGS=-mtune=$cpu -DCMAKE_CXX_FLAGS=-mtune=$cpu"
exec "${PYTHON:-python3}" -m pip wheel --no-deps --no-cache-dir --no-binary llama-cpp-python \
    -w "$output" 'llama-cpp-python>=0.3.36,<0.4'
