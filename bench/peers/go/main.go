// SPDX-License-Identifier: MIT
//
// peer-go ADDR:PORT DIR: net/http as its documentation has it. /1k is DIR's 1k.txt from memory,
// /wait/MS a line after MS milliseconds, in which a goroutine waits: what leat's handler in
// bench/router_1k.c does in a fiber. Every other path is a file of DIR, which FileServer sends by
// sendfile.
package main

import (
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

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
	if len(os.Args) != 3 {
		log.Fatal("usage: peer-go ADDR:PORT DIR")
	}
	address, folder := os.Args[1], os.Args[2]
	body, err := os.ReadFile(filepath.Join(folder, "1k.txt"))
	if err != nil {
		log.Fatal(err)
	}
	small := func(response http.ResponseWriter, _ *http.Request) {
		response.Header().Set("Content-Type", "text/plain")
		response.Write(body)
	}
	http.HandleFunc("/1k", small)
	http.HandleFunc("/1k.txt", small) // what the crowd and the idle of bench/lab.py ask for
	http.HandleFunc("/wait/", wait)
	http.Handle("/", http.FileServer(http.Dir(folder)))
	log.Fatal(http.ListenAndServe(address, nil))
}
