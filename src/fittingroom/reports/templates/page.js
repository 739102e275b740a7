// The order of the start, the copy button, and print, which shows what is folded on a screen.
startExplorer();
startDetail();
startLedger();

byId("copy")?.addEventListener("click", async () => {
  const text = byId("command").textContent;
  try {
    await navigator.clipboard.writeText(text);
    byId("copied").textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(byId("command"));
    byId("copied").textContent = "Selected: copy it with Ctrl-C.";
  }
});

let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const one of folded) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of folded) one.open = false;
});
