// SPDX-License-Identifier: MIT
//
// peer-gin ADDR:PORT DIR: Gin as its documentation has it, in release mode and with gin.Recovery,
// but without the logger that gin.Default brings. /1k is DIR's 1k.txt from memory, /wait/MS a line
// after MS milliseconds. /NAME is a file by Context.File: Gin's response writer hides net/http's
// ReadFrom, so it is copied, 32 KiB at a time, where net/http alone would use sendfile.
// /memory/NAME is the same file kept in memory from its first request on, which avoids that.
package main

import (
	"bytes"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

func wait(context *gin.Context) {
	ms, err := strconv.Atoi(context.Param("ms"))
	if err != nil {
		context.String(http.StatusBadRequest, "want milliseconds\n")
		return
	}
	time.Sleep(time.Duration(ms) * time.Millisecond)
	context.String(http.StatusOK, "waited\n")
}

// Files kept in memory, each read when it is first asked for.
type cache struct {
	mutex sync.Mutex
	files map[string][]byte
}

func (cache *cache) read(path string) ([]byte, error) {
	cache.mutex.Lock()
	defer cache.mutex.Unlock()
	body, found := cache.files[path]
	if found {
		return body, nil
	}
	body, err := os.ReadFile(path)
	if err == nil {
		cache.files[path] = body
	}
	return body, err
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: peer-gin ADDR:PORT DIR")
	}
	address, folder := os.Args[1], os.Args[2]
	small, err := os.ReadFile(filepath.Join(folder, "1k.txt"))
	if err != nil {
		log.Fatal(err)
	}
	memory := cache{files: map[string][]byte{}}
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.Use(gin.Recovery())
	router.GET("/1k", func(context *gin.Context) {
		context.Data(http.StatusOK, "text/plain", small)
	})
	router.GET("/wait/:ms", wait)
	router.GET("/memory/:name", func(context *gin.Context) {
		body, err := memory.read(filepath.Join(folder, context.Param("name")))
		if err != nil {
			context.Status(http.StatusNotFound)
			return
		}
		context.DataFromReader(http.StatusOK, int64(len(body)), "application/octet-stream",
			bytes.NewReader(body), nil)
	})
	router.GET("/:name", func(context *gin.Context) {
		context.File(filepath.Join(folder, context.Param("name")))
	})
	log.Fatal(router.Run(address))
}
