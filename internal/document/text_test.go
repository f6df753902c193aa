package document

import "testing"

func TestBase64TakesEveryForm(t *testing.T) {
	for _, text := range []string{"+/8=", "+/8", "-_8=", "-_8", "+/\n8=\r\n"} {
		got, err := DecodeBase64(nil, []byte(text))
		if want := "\xfb\xff"; err != nil || string(got) != want {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"+_8=", "+/8==", "+/9=", "+", "=", " +/8="} {
		if got, err := DecodeBase64(nil, []byte(text)); err == nil {
			t.Errorf("%q: got %q, want an error", text, got)
		}
	}
}
