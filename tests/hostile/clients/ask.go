// go run ask.go keep|close METHOD URL KEY [FILE]: the status, three times on one client.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: os.Args[1] == "close"}}
	for i := 0; i < 3; i++ {
		var body io.Reader
		if len(os.Args) > 5 {
			data, err := os.ReadFile(os.Args[5])
			if err != nil {
				panic(err)
			}
			body = bytes.NewReader(data)
		}
		request, err := http.NewRequest(os.Args[2], os.Args[3], body)
		if err != nil {
			panic(err)
		}
		request.Header.Set("X-API-Key", os.Args[4])
		request.Header.Set("Content-Type", "image/jpeg")
		response, err := client.Do(request)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		fmt.Println(response.StatusCode)
	}
}
