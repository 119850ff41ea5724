// Listens with github.com/tmaxmax/go-sse: `tmaxmax <url> <token> [default]`, where `default` leaves the buffer as it is.
package main

import (
	"encoding/json"
	"net/http"
	"os"
	"time"

	"github.com/tmaxmax/go-sse"
)

// More than the largest event with its field names.
const bufferBytes = 512 * 1024

func main() {
	out := json.NewEncoder(os.Stdout)
	request, err := http.NewRequest(http.MethodGet, os.Args[1], nil)
	if err != nil {
		panic(err)
	}
	request.Header.Set("Authorization", "Bearer "+os.Args[2])
	// The default waits longer after every failure, without an end.
	client := sse.Client{Backoff: sse.Backoff{MaxInterval: time.Second}}
	connection := client.NewConnection(request)
	if len(os.Args) == 3 {
		connection.Buffer(nil, bufferBytes)
	}
	connection.SubscribeToAll(func(event sse.Event) {
		_ = out.Encode(map[string]string{
			"id": event.LastEventID, "event": event.Type, "data": event.Data,
		})
	})
	if err := connection.Connect(); err != nil {
		panic(err)
	}
}
