// Rates a page for somebody who is signed in: `node rate.mjs URL PORT`, PORT being a running Chromium's debugging port
// whose default profile holds the cookie. Prints the scores of 0 to 100 and what lost points, as JSON.
import lighthouse from "lighthouse";

const [url, port] = process.argv.slice(2);
const onlyCategories = ["performance", "accessibility", "best-practices"];
const { lhr } = await lighthouse(url, { port: Number(port), onlyCategories, disableStorageReset: true, logLevel: "error" });
const scores = {};
const lost = [];
for (const [name, category] of Object.entries(lhr.categories)) {
  scores[name] = Math.round(category.score * 100);
  for (const { id, weight } of category.auditRefs) {
    const { score, title, displayValue } = lhr.audits[id];
    if (weight > 0 && score !== null && score < 1) lost.push([name, id, title, displayValue ?? "", score]);
  }
}
console.log(JSON.stringify({ scores, lost, warnings: lhr.runWarnings }));
