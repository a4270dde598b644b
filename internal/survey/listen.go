package survey

import "context"

// Listen hands on what a sentinel that a survey has found publishes, until the connection breaks or ctx
// ends. ready is called when the subscription stands. The text of its error can be shown.
func (t Target) Listen(ctx context.Context, s Sentinel, ready func(), message func(channel, text string)) error {
	link, err := t.ConnectSentinel(ctx, s)
	if err != nil {
		return err
	}
	defer link.Close()
	stop := context.AfterFunc(ctx, link.Close)
	defer stop()
	return link.Listen(ctx, ready, message)
}
