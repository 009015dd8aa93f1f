package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

const scanStep = 500

// List is the entries of this store key, by source. Unlike Update it waits as
// long as ctx allows, and tells what is wrong with the server.
func (r *Redis) List(ctx context.Context) ([]Entry, error) {
	var all []Entry
	err := r.each(ctx, func(ctx context.Context, c redis.Cmdable, key, name string) error {
		if e, mine := r.entry(ctx, c, key, name); mine {
			all = append(all, e)
		}
		return nil
	})
	slices.SortFunc(all, func(a, b Entry) int {
		return strings.Compare(a.Source+"\x00"+a.Name, b.Source+"\x00"+b.Name)
	})
	return all, err
}

// Clear removes the entries of the source, or with "" all of this store key,
// and says how many those were. Entries of other keys are another fleet's.
func (r *Redis) Clear(ctx context.Context, source string) (removed int, err error) {
	err = r.each(ctx, func(ctx context.Context, c redis.Cmdable, key, name string) error {
		e, mine := r.entry(ctx, c, key, name)
		if !mine || source != "" && e.Source != source {
			return nil
		}
		n, err := c.Del(ctx, key).Result()
		removed += int(n)
		return err
	})
	return removed, err
}

// entry reads one; false when it is not of this store key, or gone.
func (r *Redis) entry(ctx context.Context, c redis.Cmdable, key, name string) (e Entry, mine bool) {
	sealed, err := c.GetRange(ctx, key, 0, maxSealed).Result()
	if err != nil || sealed == "" {
		return e, false
	}
	kept, err := r.sealer.Open(name, []byte(sealed))
	switch {
	case errors.Is(err, ErrCorrupt):
		return Entry{Name: name, Where: "redis", Problem: err.Error()}, true
	case err != nil:
		return e, false
	}
	e = Entry{Name: name, Source: kept.Source, AccountID: kept.AccountID, RoleName: kept.RoleName, AccessKeyID: kept.MaskedKeyID(), Expires: kept.Expires, Where: "redis"}
	if kept.Remaining(r.now()) <= 0 {
		e.Problem = "ended"
	}
	return e, true
}

// each calls do for all that look like entries, on each master of a cluster,
// one at a time.
func (r *Redis) each(ctx context.Context, do func(ctx context.Context, c redis.Cmdable, key, name string) error) error {
	scan := func(ctx context.Context, c redis.Cmdable) error {
		keys := c.Scan(ctx, 0, redisPrefix+"{*}", scanStep).Iterator()
		seen := map[string]bool{} // a scan may return a key twice
		for keys.Next(ctx) {
			key := keys.Val()
			name := strings.TrimSuffix(strings.TrimPrefix(key, redisPrefix+"{"), "}")
			if seen[key] || !isName(name) {
				continue
			}
			seen[key] = true
			if err := do(ctx, c, key, name); err != nil {
				return err
			}
		}
		return keys.Err()
	}
	var err error
	if cluster, ok := r.client.(*redis.ClusterClient); ok {
		var mu sync.Mutex // masters are scanned at the same time; do is not made for that
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			return scan(ctx, c)
		})
	} else {
		err = scan(ctx, r.client)
	}
	if err != nil {
		return &SettingError{"the shared store " + redisTrouble(err), "check that the server runs, its URL and the password file"}
	}
	return nil
}
