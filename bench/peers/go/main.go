// SPDX-License-Identifier: MIT
//
// peer-go ADDR:PORT: net/http as its documentation has it. /1k is answered with 1 KiB from memory,
// /wait/MS with a line after MS milliseconds, in which a goroutine waits: what leat's handler in
// bench/router_1k.c does in a fiber.
package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

var body = bytes.Repeat([]byte("x"), 1024)

func small(response http.ResponseWriter, _ *http.Request) {
	response.Header().Set("Content-Type", "text/plain")
	response.Write(body)
}

func wait(response http.ResponseWriter, request *http.Request) {
	ms, err := strconv.Atoi(strings.TrimPrefix(request.URL.Path, "/wait/"))
	if err != nil {
		http.Error(response, "want milliseconds", http.StatusBadRequest)
		return
	}
	time.Sleep(time.Duration(ms) * time.Millisecond)
	response.Header().Set("Content-Type", "text/plain")
	response.Write([]byte("waited\n"))
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: peer-go ADDR:PORT")
		os.Exit(2)
	}
	http.HandleFunc("/1k", small)
	http.HandleFunc("/1k.txt", small)
	http.HandleFunc("/wait/", wait)
	if err := http.ListenAndServe(os.Args[1], nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
