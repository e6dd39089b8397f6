{#-
  No check of fct_input_health found anything. Gives each row that is not ok: one with status fail fails the build
  (vars.input_health.fail_on), else there is a warning.
-#}
{% test input_health_is_ok(model) %}

{{ config(
    warn_if="> 0",
    error_if="> 0 and count(case when status = 'fail' then 1 end) > 0",
) }}

select
    input_table,
    check_name,
    row_count,
    status,
    value,
    previous_value,
    limit_value
from {{ model }}
where status <> 'ok'

{% endtest %}
