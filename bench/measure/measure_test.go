package measure

import "testing"

func TestFileSystemIsThatOfTheNearestMount(t *testing.T) {
	const mounts = `22 1 253:0 / / rw shared:1 - ext4 /dev/vda rw
30 22 0:26 / /tmp rw - tmpfs tmpfs rw
31 22 8:1 / /data/disk rw,noatime master:1 - xfs /dev/sda1 rw
`
	for path, want := range map[string]string{
		"/home/x": "ext4", "/tmp": "tmpfs", "/tmp/x": "tmpfs", "/tmpx": "ext4", "/data/disk/a": "xfs", "/data": "ext4",
	} {
		if got := fileSystemOf(mounts, path); got != want {
			t.Errorf("%s is on %q, want %q", path, got, want)
		}
	}
}

func TestMedianIsTheMiddleOrTheMeanOfTheTwo(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{7}, 7},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := Median(c.values); got != c.want {
			t.Errorf("Median(%v) = %v, want %v", c.values, got, c.want)
		}
	}
	values := []float64{3, 1, 2}
	Median(values)
	if values[0] != 3 {
		t.Error("median changed its argument")
	}
}

func TestThousandsGroupsDigits(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 999.5: "1,000", 12: "12", 1234: "1,234", 1e6: "1,000,000"} {
		if got := Thousands(x); got != want {
			t.Errorf("Thousands(%v) = %q, want %q", x, got, want)
		}
	}
}
