import { measureSweeps } from '/work/main/test/bench/billing.ts';
import { renderTable } from '/work/main/test/bench/table.ts';
console.log(renderTable(await measureSweeps((s) => console.error(s))));
