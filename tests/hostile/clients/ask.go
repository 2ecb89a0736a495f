// go run ask.go keep|close (METHOD URL KEY FILE)...: a line for each case, the statuses of three
// requests on one client. FILE is empty where there is no body.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	for cases := os.Args[2:]; len(cases) > 0; cases = cases[4:] {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: os.Args[1] == "close"}}
		for i := 0; i < 3; i++ {
			var body io.Reader
			if cases[3] != "" {
				data, err := os.ReadFile(cases[3])
				if err != nil {
					panic(err)
				}
				body = bytes.NewReader(data)
			}
			request, err := http.NewRequest(cases[0], cases[1], body)
			if err != nil {
				panic(err)
			}
			request.Header.Set("X-API-Key", cases[2])
			request.Header.Set("Content-Type", "image/jpeg")
			response, err := client.Do(request)
			if err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
			fmt.Print(response.StatusCode, " ")
		}
		fmt.Println()
	}
}
