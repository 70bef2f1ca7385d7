/** Stands for your sign-in page: it loads this page again, with `?user=…`. */
export function SignIn() {
  return (
    <form className="sign-in">
      <h1>Chat room</h1>
      <label>
        Your name <input name="user" required maxLength={40} autoFocus autoComplete="nickname" />
      </label>
      <button>Come in</button>
    </form>
  );
}
