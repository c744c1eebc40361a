module gatehouse/bench/scs

go 1.26.0

replace gatehouse => ../..

require (
	gatehouse v0.0.0-00010101000000-000000000000
	github.com/alexedwards/scs/v2 v2.9.0
	go.etcd.io/bbolt v1.5.0
)

require golang.org/x/sys v0.49.0 // indirect
