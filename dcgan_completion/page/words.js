// What the page says, and what its events run.

export const $ = id => document.getElementById(id);

export function fail(error) {
  if (error?.name === "AbortError") return;
  const again = error?.retry ? ` (In ${error.retry} seconds.)` : "";
  $("error").textContent = (error?.message ?? String(error)) + again;
  $("error").hidden = false;
}

export const calm = () => { $("error").hidden = true; };

export function say(text) {
  $("status").textContent = text;
}

// Runs what an event asks for, and shows what goes wrong.
export const on = (id, type, call) => $(id).addEventListener(type, async event => {
  try {
    await call(event);
  } catch (error) {
    fail(error);
  }
});

export function save(blob, as) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = as;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
