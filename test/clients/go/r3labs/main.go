// Listens with github.com/r3labs/sse: `r3labs <url> <token> [default]`, where `default` leaves the buffer as it is.
package main

import (
	"encoding/json"
	"os"
	"time"

	"github.com/r3labs/sse/v2"
	"gopkg.in/cenkalti/backoff.v1"
)

// More than the largest event with its field names.
const bufferBytes = 512 * 1024

func main() {
	out := json.NewEncoder(os.Stdout)
	options := []func(*sse.Client){sse.ClientMaxBufferSize(bufferBytes)}
	if len(os.Args) > 3 {
		options = nil
	}
	client := sse.NewClient(os.Args[1], options...)
	client.Headers["Authorization"] = "Bearer " + os.Args[2]
	// The default grows with every cut, and gives up after 15 minutes in all.
	client.ReconnectStrategy = backoff.NewConstantBackOff(100 * time.Millisecond)
	for {
		// Returns when the server ends the stream.
		_ = client.SubscribeRaw(func(message *sse.Event) {
			_ = out.Encode(map[string]string{
				"id": string(message.ID), "event": string(message.Event), "data": string(message.Data),
			})
		})
		time.Sleep(100 * time.Millisecond)
	}
}
