import { open } from "./open.jsx";
import { FirstApi } from "./FirstApi.jsx";

open(FirstApi);
